import { expect, it } from 'vitest'
import { explained, GitFailed, type Wanted } from '../../../agent/checkout/failure.ts'

const wanted: Wanted = { commit: null, branch: 'main', url: 'git@host:team/app', isLocal: false, where: '' }
const COULD_NOT = 'fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.'

it.each([
  [`ssh: Could not resolve hostname host: Name or service not known\n${COULD_NOT}`, 'repository_unreachable', 'the agent cannot reach it (ssh: Could not resolve hostname host: Name or service not known). Try again, or look after the server and the agent\'s network.'],
  [`ssh: connect to host host port 22: Connection refused\n${COULD_NOT}`, 'repository_unreachable', 'the agent cannot reach it (ssh: connect to host host port 22: Connection refused). Try again, or look after the server and the agent\'s network.'],
  [`git@host: Permission denied (publickey).\n${COULD_NOT}`, 'repository_forbidden', 'the server wants credentials, and the agent\'s are missing or refused (git@host: Permission denied (publickey)). Give the agent\'s user an SSH key or a git credential for it.'],
  [`Host key verification failed.\n${COULD_NOT}`, 'repository_forbidden', 'the server wants credentials, and the agent\'s are missing or refused (Host key verification failed). Give the agent\'s user an SSH key or a git credential for it.'],
  [`ERROR: Repository not found.\n${COULD_NOT}`, 'repository_missing', 'there is no repository there, or the agent may not see it (Repository not found). Correct its address, or give the agent access.'],
  ['fatal: write error: No space left on device', 'agent_disk', 'the agent cannot write to its disk (write error: No space left on device). Free some space there.'],
  ['fatal: remote error: No space left on device', 'repository_failed', 'the server failed (remote error: No space left on device). Try again, or look after the server.'],
  ['remote: fatal: write error: No space left on device\nfatal: remote error: internal error', 'repository_failed', 'the server failed (remote error: internal error). Try again, or look after the server.'],
  ['fatal: remote-curl: bad line length character: <htm\nfatal: expected flush after ref listing', 'repository_not_git', 'something else than a git server answers there. Is the URL right, or does a proxy or sign-in page stand in between?'],
  ['fatal: something that git never said before', 'agent_checkout', 'git failed on the agent (git fetch: something that git never said before).'],
])('git that says %j', (stderr, code, why) => {
  expect(explained(new GitFailed('status', 'git fetch', stderr), wanted)).toMatchObject({ code, message: `cannot check out branch main of git@host:team/app: ${why}` })
})
