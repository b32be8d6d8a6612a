# Leaves a child in a session and group of its own, parentless, silent. $1: seconds it lives.
(setsid setsid sleep "$1" >/dev/null 2>&1 &)
