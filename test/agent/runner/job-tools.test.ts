import { execFileSync } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { placeTools } from '../../../agent/runner/job-tools.ts'
import { ownFolder } from '../../support/folder.ts'

/** Tools that print with which arguments, and with which NODE_OPTIONS, they were started. */
async function tools(): Promise<{ readonly folder: string; readonly self: readonly [string, ...string[]] }> {
  const home = await ownFolder()
  const script = join(home, "it's me.mjs")
  writeFileSync(script, 'console.log(JSON.stringify([process.argv.slice(2), process.execArgv, process.env.NODE_OPTIONS]))')
  return { folder: join(home, 'state', 'bin'), self: [process.execPath, '--watch', '--no-warnings', script] }
}

describe('the tools of a job', () => {
  it.each(['kedge', 'buildkite-agent'])('%s is the command line of the agent itself, under any path and with any arguments', async (name) => {
    const { folder, self } = await tools()
    placeTools(folder, self)
    const said = execFileSync(join(folder, name), ['pipeline', 'upload', "a b'c", ''], { env: { NODE_OPTIONS: '--require ./nothing.js' } }).toString()
    expect(JSON.parse(said)).toEqual([['pipeline', 'upload', "a b'c", ''], ['--no-warnings'], ''])
  })

  it('are left alone when they are right, and made anew when they are not', async () => {
    const { folder, self } = await tools()
    placeTools(folder, self)
    const before = statSync(join(folder, 'kedge')).ino
    placeTools(folder, self)
    expect(statSync(join(folder, 'kedge')).ino).toBe(before)
    writeFileSync(join(folder, 'kedge'), 'torn')
    placeTools(folder, self)
    expect(execFileSync(join(folder, 'kedge')).toString()).toContain('[[]')
  })
})
