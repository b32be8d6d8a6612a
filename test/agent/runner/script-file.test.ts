/** Commands that name a file of the checkout, run by the real `startCommand`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { commandOrFile } from '../../../agent/runner/script-file.ts'
import { ownFolder } from '../../support/folder.ts'
import { tryCommand } from '../../support/running-command.ts'

async function run(file: string, text: string, command: string): Promise<string> {
  const folder = await ownFolder()
  writeFileSync(join(folder, file), text, { mode: 0o644 })
  const running = await tryCommand(`cd '${folder}'\n${commandOrFile(command, folder)}`)
  const { exitStatus } = await running.ended
  return `${running.printed()}${exitStatus}`
}

it('a command that names a file is that file, whoever may execute it and without a "./"', async () => {
  expect(await run('test.sh', '#!/bin/sh\necho "ran $0"\nexit 3\n', 'test.sh')).toBe('ran ./test.sh\n3')
  expect(await run("it's it", 'echo "ran as a script of the shell"\n', "it's it\n")).toBe('ran as a script of the shell\n0')
})

it('any other command is as it stands', async () => {
  const folder = await ownFolder()
  for (const command of ['', 'make', 'make test.sh', '.', `echo ${'x'.repeat(5000)}`, 'a\0b']) expect(commandOrFile(command, folder)).toBe(command)
})
