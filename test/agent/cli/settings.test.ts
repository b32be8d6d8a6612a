import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { agentSettings } from '../../../agent/cli/agent.ts'
import { Failure, type Surroundings } from '../../../agent/cli/output.ts'
import { parseSettings, stateFolder } from '../../../agent/cli/settings.ts'
import { ownFolder } from '../../support/folder.ts'

const around = (environment: Record<string, string>, folder = '/nowhere'): Surroundings => ({
  environment,
  folder,
  home: '/home/ada',
  os: 'linux',
  self: ['node'],
  print: () => {},
  note: () => {},
  onStop: () => {},
  onParent: () => {},
  exit: () => {},
})

describe('settings of the agent', () => {
  test('a flag wins over the environment, the environment over kedge.json, and that over the default', async () => {
    const folder = await ownFolder()
    await writeFile(join(folder, 'kedge.json'), '{"url": "http://file.example", "queue": "file", "name": "file", "slots": 3}')
    const settings = agentSettings({ doorbell: true, url: 'http://flag.example/' }, around({ KEDGE_URL: 'http://environment.example', KEDGE_QUEUE: 'environment' }, folder))
    expect(settings).toMatchObject({ url: 'http://flag.example', queue: 'environment', name: 'file', slots: 3, registrationToken: null, stateFolder: '/home/ada/.kedge/agent' })
    expect(agentSettings({ doorbell: true }, around({})).url).toBe('http://127.0.0.1:8787')
  })

  test('state is kept under XDG_STATE_HOME where that is in use', () => {
    expect(stateFolder(undefined, 'agent', around({ XDG_STATE_HOME: '/xdg' }))).toBe('/xdg/kedge/agent')
  })
})

describe('kedge.json', () => {
  const refusal = (text: string): string => {
    try {
      parseSettings(text, 'kedge.json')
    } catch (error) {
      if (error instanceof Failure) return `${error.exitCode} ${error.message}`
      throw error
    }
    return 'taken'
  }

  test('a mistyped name is told with its place and the nearest name', () => {
    expect(refusal('{\n  "name": "quue",\n  "quue": "gpu"\n}')).toMatch(/^2 kedge\.json:3:3: "quue" is not a setting; did you mean "queue"\? There are url, /)
    expect(refusal('{"zzzzzz": 1}')).toMatch(/^2 kedge\.json:1:2: "zzzzzz" is not a setting\. There are url, /)
  })

  test('a value of the wrong kind and broken JSON are told with their place', () => {
    expect(refusal('{"slots": "two"}')).toBe('2 kedge.json:1:2: "slots" must be a number.')
    expect(refusal('{\n"slots": 2,,\n}')).toMatch(/^2 kedge\.json:2:12 is not JSON: /)
  })
})
