# Leaves a child, in a session of its own, without environment; it only keeps the output. $1: seconds it lives.
(env -i setsid setsid sleep "$1" &)
