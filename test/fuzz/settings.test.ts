/** What people write into kedge.json, flags and environment: a setting, or one line that says what is wrong, and exit code 2. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { agentSettings, MOST_SLOTS, type AgentFlags } from '../../agent/cli/agent.ts'
import { EXIT, Failure, oneLine, type Surroundings } from '../../agent/cli/output.ts'
import { parseSettings } from '../../agent/cli/settings.ts'
import { offer } from '../../schema/sync.ts'
import { ownFolder } from '../support/folder.ts'
import { surroundings } from '../support/surroundings.ts'
import { damaged, mutated, type Json } from './hostile.ts'
import { runs } from './seed.ts'

const valid: Json = { url: 'https://ci.example', token: 'kdg_reg_x', name: 'one', slots: 2, queue: 'default', tags: ['os=linux'], state: 'state', doorbell: true }
const text = fc.oneof(mutated(valid), damaged(JSON.stringify(valid, null, 2)), fc.string({ unit: 'binary', maxLength: 60 }), fc.json())
const word = fc.option(fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), fc.constantFrom('', '0', '65', '1e3', '-1', ' 1', 'http://', 'https://a b', 'https://ci.example/x', 'https://u:p@ci.example', 'ftp://x', 'http://[::1', 'http://x:99999', 'https://ci.example', 'a=b', 'a=', '=', 'a=b c', '\0', '../..', '__proto__')), { nil: undefined })

/** A sentence of one line, as `main.ts` prints it. */
function isSaid(error: unknown): void {
  expect(error).toBeInstanceOf(Failure)
  const { exitCode, message } = error as Failure // the line above says so
  expect(exitCode).toBe(EXIT.usage)
  expect(oneLine(message)).toMatch(/^.{10,}$/u)
}

it('whatever kedge.json holds, it is settings of the right kinds, or one line with the place', () => {
  fc.assert(
    fc.property(text, (json) => {
      try {
        const settings = parseSettings(json, 'kedge.json')
        expect(Object.getPrototypeOf(settings)).toBe(Object.prototype)
        for (const [name, value] of Object.entries(settings)) expect(typeof value).toBe(name === 'slots' ? 'number' : name === 'doorbell' || name === 'plugins' ? 'boolean' : name === 'tags' ? 'object' : 'string')
      } catch (error) {
        isSaid(error)
        expect((error as Failure).message).toMatch(/^kedge\.json:\d+:\d+/)
      }
    }),
    runs(1500),
  )
})

it('whatever flags, environment and kedge.json say, the agent has an offer that its coordinator takes, or says one line', async () => {
  const folder = await ownFolder()
  const names = ['url', 'token', 'tokenFile', 'name', 'slots', 'queue', 'state'] as const
  const flags: fc.Arbitrary<AgentFlags> = fc.record({ given: fc.dictionary(fc.constantFrom(...names), word.map((one) => one ?? '2'), { maxKeys: 2 }), tag: fc.option(fc.array(word.map((one) => one ?? 'a=b'), { maxLength: 2 })), doorbell: fc.boolean() }).map(({ given, tag, doorbell }) => ({ ...given, ...(tag === null ? {} : { tag }), doorbell }))
  const environment = fc.dictionary(fc.constantFrom('KEDGE_URL', 'KEDGE_SLOTS', 'KEDGE_QUEUE', 'KEDGE_TAGS', 'KEDGE_STATE', 'KEDGE_AGENT_NAME', 'KEDGE_TIME_SCALE', 'KEDGE_REGISTRATION_TOKEN', 'XDG_STATE_HOME'), word.map((one) => one ?? ''), { maxKeys: 2 })
  const around = (variables: Record<string, string>): Surroundings => surroundings({ environment: variables, folder, home: folder })
  let taken = 0
  await fc.assert(
    fc.asyncProperty(flags, environment, fc.oneof(fc.constant(null), text), async (given, variables, json) => {
      await writeFile(join(folder, 'kedge.json'), json ?? '{}')
      const settings = await agentSettings(given, around(variables)).catch(isSaid)
      if (settings === undefined) return
      taken += 1
      const { url, name, slots, queue, tags, stateFolder, timeScale } = settings
      expect(offer.safeParse({ name, queue, tags, slots, host: { os: '', arch: '', hostname: '', version: '' } }).success).toBe(true)
      expect([URL.canParse(url), slots <= MOST_SLOTS, stateFolder.startsWith('/'), timeScale > 0]).toEqual([true, true, true, true])
    }),
    runs(600),
  )
  expect(taken).toBeGreaterThan(0) // else nothing was looked at
})
