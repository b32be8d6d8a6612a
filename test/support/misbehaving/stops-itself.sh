# Is stopped (SIGSTOP), and so cannot heed anything. $1: seconds to live.
sleep "$1" &
echo ready
kill -STOP $$
wait
