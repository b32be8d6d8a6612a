# Leaves a child without environment, session, output and, after a while, parent. $1: seconds it lives.
env -i setsid sh -c 'sleep "$0" & sleep 1' "$1" >/dev/null 2>&1 &
sleep 0.7
