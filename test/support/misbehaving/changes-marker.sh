# Leaves a child, in a session of its own, that says it belongs to another attempt. $1: seconds it lives.
(KEDGE_ATTEMPT=J9-9-9.9 setsid setsid sleep "$1" &)
