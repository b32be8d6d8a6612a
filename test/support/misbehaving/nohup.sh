# Leaves a child that ignores SIGHUP. $1: seconds it lives.
nohup sleep "$1" >/dev/null 2>&1 &
