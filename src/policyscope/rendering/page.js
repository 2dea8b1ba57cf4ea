// the timeline and the video show the same moment; without a video the timeline is only a picture
const film = document.querySelector("video"), lanes = document.querySelector(".lanes");
if (film && lanes) {
  const now = document.querySelector(".now");
  const move = () => {
    if (!film.duration) return;
    now.style.display = "block";
    now.style.left = `${100 * film.currentTime / film.duration}%`;
    if (!film.paused) requestAnimationFrame(move);
  };
  film.addEventListener("play", move);
  film.addEventListener("seeked", move);
  lanes.addEventListener("click", (event) => {
    const box = lanes.getBoundingClientRect();
    if (!film.duration) return;
    film.currentTime = Math.min(0.9999, (event.clientX - box.left) / box.width) * film.duration;
    move();
  });
}
