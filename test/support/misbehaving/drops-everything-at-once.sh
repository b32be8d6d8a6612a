# Leaves a child without environment, session, output and parent, from its first moment. $1: seconds it lives.
(env -i setsid setsid sleep "$1" >/dev/null 2>&1 &)
sleep 0.2
