# Starts two hundred children and goes away. $1: seconds they live.
i=0
while [ $i -lt 200 ]; do
  sleep "$1" &
  i=$((i + 1))
done
