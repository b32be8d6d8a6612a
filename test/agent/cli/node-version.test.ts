import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { assertNode } from '../../../agent/cli/node-version.ts'
import { OLDEST_NODE } from '../../../schema/version.ts'

test.each(['22.12.0', '22.20.1', '24.0.0', '100.1.0'])('Node %s runs it', (version) => {
  expect(() => assertNode(version)).not.toThrow()
})

test.each(['20.20.2', '22.11.0', '4.99.0'])('Node %s is refused with the one that it takes', (version) => {
  expect(() => assertNode(version)).toThrow(`this is Node ${version}, and kedge needs Node 22.12 or newer`)
})

test('npm says the same before it installs the package', () => {
  const { engines } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { engines: { node: string } }
  expect(engines.node).toBe(`>=${OLDEST_NODE}`)
})
