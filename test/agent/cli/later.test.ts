/** Commands that come later say so, and fail. */
import { Command } from 'commander'
import { expect, it } from 'vitest'
import { registerLater } from '../../../agent/cli/later.ts'
import { EXIT } from '../../../agent/cli/output.ts'

it.each([
  [['oidc', 'request-token', '--audience', 'sts.amazonaws.com', '--lifetime=300'], 'jobs get no OIDC tokens yet'],
  [['secret', 'get', '--format', 'env', 'A', 'B'], 'there are no secrets to get yet'],
])('%j says what to do until then, whatever its flags', async (args, sentence) => {
  const program = new Command().exitOverride()
  registerLater(program)
  await expect(program.parseAsync(['node', 'kedge', ...args])).rejects.toMatchObject({ exitCode: EXIT.failed, message: expect.stringMatching(new RegExp(`comes later: ${sentence}.*Until`)) })
})
