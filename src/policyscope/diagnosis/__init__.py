"""What is wrong with an agent, and where: rules that look at an episode, and the doctor that asks them."""
