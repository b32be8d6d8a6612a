import { expect, it } from 'vitest'
import { writeScript, type Happening, type Script } from './script.ts'
import { shrink } from './shrink.ts'
import type { Report } from './world.ts'

/** Three agents and thirty happenings, one a second. */
function scriptWith(guilty: Readonly<Record<number, Happening>>): Script {
  const { agents: [agent], ...script } = writeScript(1, 'calm')
  if (agent === undefined) throw new Error('a script has agents')
  return {
    ...script,
    agents: ['agent-1', 'agent-2', 'agent-3'].map((name) => ({ ...agent, name })),
    happenings: Array.from({ length: 30 }, (_, n) => ({ at: n * 1000, what: guilty[n] ?? (n % 3 === 0 ? { kind: 'kill', agent: 'agent-3', awayMs: n } : { kind: 'evict' }) })),
  }
}

/** A world that breaks `rule` when all of these kinds happen in it, at the last of them. */
function breaking(kinds: readonly Happening['kind'][], rule = 'I4', otherwise: string | null = null) {
  const lived: Script[] = []
  const live = async (script: Script): Promise<Report> => {
    lived.push(script)
    const found = kinds.map((kind) => script.happenings.find(({ what }) => what.kind === kind))
    const at = Math.max(...found.map((one) => one?.at ?? Infinity))
    const broken = at < Infinity ? rule : otherwise
    return { violations: broken === null ? [] : [{ rule: broken, at: Math.min(at, 1e9), text: '' }], jobs: 0, syncs: 0, steps: 0, lost: 0, lastedMs: 0, trace: [] }
  }
  return { live, lived }
}

const push: Happening = { kind: 'push' }
const power: Happening = { kind: 'power', agent: 'agent-2', awayMs: 1 }

it('leaves of a script the one happening that is guilty, and no agent that it does not need', async () => {
  const { live } = breaking(['push'])
  const { script, report } = await shrink(scriptWith({ 17: push }), { rule: 'I4', until: () => false, live })
  expect(script.happenings).toEqual([{ at: 17_000, what: push }])
  expect(script.agents.map(({ name }) => name)).toEqual(['agent-1'])
  expect(report.violations).toMatchObject([{ rule: 'I4' }])
})

it('leaves two that are guilty only together, and the agent of one of them', async () => {
  const { live } = breaking(['push', 'power'])
  const { script } = await shrink(scriptWith({ 3: push, 26: power }), { rule: 'I4', until: () => false, live })
  expect(script.happenings.map(({ what }) => what)).toEqual([push, power])
  expect(script.agents.map(({ name }) => name)).toEqual(['agent-1', 'agent-2'])
})

it('leaves nothing out that makes another rule break', async () => {
  const { live } = breaking(['push', 'power'], 'I4', 'I9')
  const { script } = await shrink(scriptWith({ 3: push, 26: power }), { rule: 'I4', until: () => false, live })
  expect(script.happenings.map(({ what }) => what)).toEqual([push, power])
})

it('first leaves out all that came after the rule broke', async () => {
  const { live, lived } = breaking(['push'])
  await shrink(scriptWith({ 2: push }), { rule: 'I4', until: () => false, live })
  expect(lived[1]?.happenings).toHaveLength(3)
})

it('gives what it has when there is no more time', async () => {
  const { live, lived } = breaking(['push'])
  const { script, runs } = await shrink(scriptWith({ 17: push }), { rule: 'I4', until: () => lived.length >= 3, live })
  expect(script.happenings.length).toBeGreaterThan(1)
  expect(script.happenings.map(({ what }) => what)).toContainEqual(push)
  expect(runs).toBe(2)
})

it('takes a world that throws for one that crashes', async () => {
  const { script } = await shrink(scriptWith({ 9: push }), {
    rule: 'crash',
    until: () => false,
    live: async (candidate, options) => {
      if (options?.trace !== true && candidate.happenings.length < 30 && candidate.happenings.some(({ what }) => what.kind === 'push')) throw new Error('it is broken')
      return breaking(['push'], 'crash').live(candidate)
    },
  })
  expect(script.happenings.map(({ what }) => what)).toEqual([push])
})
