# Starts itself anew in a session of its own and goes away, a hundred times: each pid is true for an instant. Then it
# stays. $1: seconds that it stays. $2: how often it moved already.
moves=$((${2:-0} + 1))
[ "$moves" -lt 100 ] || exec sleep "$1"
sleep 0.005
setsid sh "$0" "$1" "$moves" >/dev/null 2>&1 &
