"""The claims of the two documents, as data: what is said, where, and which numbers decide.

Methods of a convolution other than the first are ``grad_cam@3``: an evaluation that is to judge all claims has to have
them among its methods (see ``METHODS``).
"""

from __future__ import annotations

from policyscope.evaluation.baselines import BASELINES
from policyscope.evaluation.claims import Claim, apart, between, beyond, both, correlated, grown, less, more
from policyscope.evaluation.parts.discrimination import RULE
from policyscope.saliency import plan

METHODS = (*plan.METHODS, "grad_cam@2", "grad_cam@3", "g1_grad_cam@3", *BASELINES)
"""What has to be evaluated for all claims."""

STREAMS = ("value", "advantage")
STREAM_METHODS = ("gradient", "guided_backprop")
"""What has to be evaluated of dueling agents besides, for claims about their streams."""

_FULL = ("full_grad", "full_grad_pp")
_GUIDED, _CAM, _G1 = "guided_backprop", "grad_cam", "g1_grad_cam"
_OF_VALUE, _OF_ADVANTAGE = (f"{stream}: guided_backprop" for stream in STREAMS)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "paper 4.1",
        "the gradient delivers a lot of noise: guided backpropagation is sharper and finds objects more precisely",
        both(less("half_area", _GUIDED, "gradient"), more("precision", _GUIDED, "gradient", "*")),
    ),
    Claim(
        "paper 4.1",
        "guided backpropagation is the most stable: its highlights are seen on more frames than Grad-CAM's",
        more("seen", _GUIDED, _CAM, "*"),
    ),
    Claim(
        "paper 4.1",
        "normalising each frame by itself makes the video flash more than one scale for all of it",
        between("flash_by_frame", "flash", _GUIDED),
    ),
    Claim(
        "paper 4.1",
        "guided backpropagation shows the paddle of Breakout poorly, Grad-CAM better",
        more("seen", _CAM, _GUIDED, "paddle"),
        games=("breakout",),
    ),
    Claim("paper 4.1", "Grad-CAM of the first convolution is stable", beyond("seen", _CAM, 0.5, "*")),
    Claim(
        "paper 4.1",
        "Grad-CAM of higher convolutions is less precise about where things are",
        both(more("precision", _CAM, "grad_cam@2", "*"), more("precision", _CAM, "grad_cam@3", "*")),
    ),
    Claim(
        "paper 4.1",
        "Grad-CAM of higher convolutions is inverted more often",
        more("inverted_guided", "grad_cam@3", _CAM),
    ),
    Claim("paper 4.1", "G1 Grad-CAM is inverted less often than Grad-CAM", less("inverted_guided", _G1, _CAM)),
    Claim(
        "paper 4.1",
        "guided Grad-CAM and G2 are very unstable: seen on fewer frames than guided backpropagation",
        both(more("seen", _GUIDED, "guided_grad_cam", "*"), more("seen", _GUIDED, "g2_grad_cam", "*")),
    ),
    Claim(
        "paper 4.1",
        "Grad-CAM cannot show where the wall is broken through, guided backpropagation can",
        both(beyond("gain", _GUIDED, 1, "gap"), beyond("gain", _CAM, 1, "gap", "below")),
        games=("breakout",),
    ),
    Claim(
        "paper 4.1",
        "Grad-CAM cannot show the oxygen bar, guided backpropagation can",
        both(beyond("gain", _GUIDED, 1, "oxygen"), beyond("gain", _CAM, 1, "oxygen", "below")),
        games=("seaquest",),
    ),
    Claim(
        "paper 4.1",
        "Grad-CAM cannot show the collected divers, guided backpropagation can",
        both(
            beyond("gain", _GUIDED, 1, "collected divers"),
            beyond("gain", _CAM, 1, "collected divers", "below"),
        ),
        games=("seaquest",),
    ),
    Claim(
        "paper 4.1",
        "G1 Grad-CAM shows ball and paddle of Breakout better than Grad-CAM",
        both(more("seen", _G1, _CAM, "ball"), more("seen", _G1, _CAM, "paddle")),
        games=("breakout",),
        stage="late",
    ),
    Claim(
        "paper 4.1",
        "G1 Grad-CAM has problems with Seaquest: it finds objects less precisely than Grad-CAM",
        less("precision", _G1, _CAM, "*"),
        games=("seaquest",),
        stage="late",
    ),
    Claim(
        "paper 4.1, Figure 47",
        "of a poorly trained agent G1 Grad-CAM finds objects more precisely than guided backpropagation",
        more("precision", _G1, _GUIDED, "*"),
        stage="early",
    ),
    Claim(
        "paper 4.1",
        "gradients of past frames cancel when they are added: a quarter of their energy is lost, and more",
        beyond("cancelled", _GUIDED, 0.25),
    ),
    Claim(
        "paper 4.1",
        "they cancel more than frames with unrelated signs would",
        between("cancelled", "cancelled_by_chance", _GUIDED),
    ),
    Claim(
        "paper 4.1",
        "rarely visited states have weaker gradients",
        correlated("smaller-claims", "rarity", _GUIDED, "below"),
    ),
    Claim(
        "paper, Figures 49 to 65",
        "the gradient of the actor's probability is ten times smaller than the critic's, and more",
        apart("log strength", "value", "probability", 1.0),
    ),
    Claim(
        "paper 5, against Greydanus et al.",
        "what gradient methods mark matters: hiding it changes the policy more than hiding as much by chance",
        beyond("deletion_tv", _GUIDED, 0),
    ),
    Claim(
        "paper, Figure 66",
        "no gradients where nothing is: guided backpropagation is less dense there than on an even map",
        beyond("phantom", _GUIDED, 1, side="below"),
    ),
    Claim(
        "paper 5, against Adebayo et al.",
        "guided backpropagation is no edge detector: with other weights its maps are others",
        beyond("after_all", _GUIDED, 0.5, side="below"),
    ),
    Claim(
        "paper, Figure 8",
        "in Breakout the advantage stream looks more at the paddle than the value stream",
        more("gain", _OF_ADVANTAGE, _OF_VALUE, "paddle"),
        games=("breakout",),
    ),
    Claim(
        "paper, Figure 9",
        "the value stream looks more at where the wall is broken through, at rewards to come",
        more("gain", _OF_VALUE, _OF_ADVANTAGE, "gap"),
        games=("breakout",),
    ),
    Claim(
        "paper, Figure 13",
        "in Seaquest the gradient of the advantage stream is more on the submarine than that of the value stream",
        more("gain", "advantage: gradient", "value: gradient", "submarine"),
        games=("seaquest",),
    ),
    Claim(
        "paper, Figures 14 and 16",
        "the value stream looks more at the oxygen bar than the advantage stream",
        both(
            more("gain", "value: gradient", "advantage: gradient", "oxygen"),
            more("gain", _OF_VALUE, _OF_ADVANTAGE, "oxygen"),
        ),
        games=("seaquest",),
    ),
    Claim(
        "paper, Figure 28",
        "the value stream looks more at fish and collected divers than the advantage stream",
        both(
            more("gain", _OF_VALUE, _OF_ADVANTAGE, "fish"),
            more("gain", _OF_VALUE, _OF_ADVANTAGE, "collected divers"),
        ),
        games=("seaquest",),
    ),
    Claim(
        "paper 4.1",
        "a well trained agent is told from a badly trained one by guided backpropagation, less by Grad-CAM",
        grown("precision", _GUIDED, "*", than=_CAM),
    ),
    Claim(
        "paper 4.1, Figure 46",
        "Grad-CAM is inverted more often in less trained agents",
        grown("inverted_guided", _CAM, side="below"),
    ),
    Claim(
        "paper 4.3",
        "the stronger the gradients, the better the agent: those of the value grow with training",
        grown("log strength", "value"),
    ),
    Claim(
        "paper, Figure 47",
        "of a poorly trained agent G1 Grad-CAM shows the number of lives",
        beyond("gain", _G1, 1, "lives"),
        games=("seaquest",),
        stage="early",
    ),
    Claim(
        "paper 4.2",
        "Grad-CAM and G1 Grad-CAM show no relation to the action: two actions' maps differ no more than under noise",
        both(between("separation_noise", "separation", _CAM), between("separation_noise", "separation", _G1)),
    ),
    Claim(
        "paper 5, future work",
        "an action-discriminative guided backpropagation marks what speaks for its action, more than the plain one",
        both(beyond("support", RULE, 0), more("support", RULE, _GUIDED)),
    ),
    Claim(
        "paper 5, against Adebayo et al.",
        "guided backpropagation shows what was learnt: its maps are more like a twin's than those of shuffled rewards",
        between("twin", "shuffled_labels", _GUIDED),
    ),
    Claim(
        "blog",
        "FullGrad++ is sharper than FullGrad",
        both(less("half_area", "full_grad_pp", "full_grad"), less("blob_width", "full_grad_pp", "full_grad")),
    ),
    Claim(
        "blog",
        "FullGrad and FullGrad++ follow the ball",
        both(beyond("gain", "full_grad", 1, "ball"), beyond("gain", "full_grad_pp", 1, "ball")),
        games=("breakout", "pong", "video_pinball"),
    ),
    Claim(
        "blog",
        "FullGrad and FullGrad++ follow ball and rackets of Pong",
        both(*(beyond("gain", name, 1, kind) for name in _FULL for kind in ("ball", "player", "opponent"))),
        games=("pong",),
    ),
    Claim(
        "blog",
        "in Enduro FullGrad++ shows the cars, where FullGrad shows the road",
        both(more("precision", "full_grad_pp", "full_grad", "cars"), beyond("gain", "full_grad_pp", 1, "cars")),
        games=("enduro",),
    ),
    Claim(
        "blog",
        "in Video Pinball FullGrad++ shows the ball more precisely than FullGrad, and the flippers",
        both(more("precision", "full_grad_pp", "full_grad", "ball"), beyond("gain", "full_grad_pp", 1, "flippers")),
        games=("video_pinball",),
    ),
    Claim("blog", "Grad-CAM++ is more precise than Grad-CAM", more("precision", "grad_cam_pp", _CAM, "*")),
)
