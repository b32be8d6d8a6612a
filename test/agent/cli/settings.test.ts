import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { agentSettings, type AgentFlags } from '../../../agent/cli/agent.ts'
import { Failure, type Surroundings } from '../../../agent/cli/output.ts'
import { parseSettings, stateFolder } from '../../../agent/cli/settings.ts'
import { ownFolder } from '../../support/folder.ts'
import { surroundings } from '../../support/surroundings.ts'

const around = (environment: Record<string, string>, folder = '/nowhere'): Surroundings => surroundings({ environment, folder })

describe('settings of the agent', () => {
  test('a flag wins over the environment, the environment over kedge.json, and that over the default', async () => {
    const folder = await ownFolder()
    await writeFile(join(folder, 'kedge.json'), '{"url": "http://file.example", "queue": "file", "name": "file", "slots": 3}')
    const settings = await agentSettings({ doorbell: true, url: 'http://flag.example/' }, around({ KEDGE_URL: 'http://environment.example', KEDGE_QUEUE: 'environment' }, folder))
    expect(settings).toMatchObject({ url: 'http://flag.example', queue: 'environment', name: 'file', slots: 3, registrationToken: null, stateFolder: '/home/ada/.kedge/agent' })
    expect((await agentSettings({ doorbell: true }, around({}))).url).toBe('http://127.0.0.1:8787')
  })

  test('a file may begin with the mark that some editors write', async () => {
    const folder = await ownFolder()
    await writeFile(join(folder, 'kedge.json'), '\uFEFF{"queue": "gpu"}')
    expect(await agentSettings({ doorbell: true }, around({}, folder))).toMatchObject({ queue: 'gpu' })
  })

  test('the folder of caches is in the state folder unless somebody names one, as seen from where the agent starts', async () => {
    const folder = await ownFolder()
    await writeFile(join(folder, 'kedge.json'), '{"cache_path": "file"}')
    const cacheFolder = async (flags: Partial<AgentFlags>, environment: Record<string, string> = {}, at = folder) => (await agentSettings({ doorbell: true, ...flags }, around(environment, at))).cacheFolder
    expect(await cacheFolder({}, {}, '/nowhere')).toBeNull()
    expect(await cacheFolder({ cachePath: 'flag' }, { KEDGE_CACHE_PATH: '/environment' })).toBe(join(folder, 'flag'))
    expect(await cacheFolder({}, { KEDGE_CACHE_PATH: '/environment' })).toBe('/environment')
    expect(await cacheFolder({}, { KEDGE_CACHE_PATH: '' })).toBe(join(folder, 'file'))
  })

  test('the folder of hooks is none unless somebody names one, and then it is there', async () => {
    const folder = await ownFolder()
    for (const name of ['flag', 'environment', 'file']) await mkdir(join(folder, name))
    const hooksFolder = async (flags: Partial<AgentFlags>, environment: Record<string, string> = {}) => (await agentSettings({ doorbell: true, ...flags }, around(environment, folder))).hooksFolder
    expect(await hooksFolder({}, { KEDGE_HOOKS_PATH: '' })).toBeNull()
    await writeFile(join(folder, 'kedge.json'), '{"hooks_path": "file"}')
    expect(await hooksFolder({})).toBe(join(folder, 'file'))
    expect(await hooksFolder({}, { KEDGE_HOOKS_PATH: 'environment' })).toBe(join(folder, 'environment'))
    expect(await hooksFolder({ hooksPath: 'flag' }, { KEDGE_HOOKS_PATH: 'environment' })).toBe(join(folder, 'flag'))
  })

  test('plugins are run unless a flag or the file says no', async () => {
    const folder = await ownFolder()
    expect((await agentSettings({ doorbell: true }, around({}, folder))).plugins).toBe(true)
    expect((await agentSettings({ doorbell: true, plugins: false }, around({}, folder))).plugins).toBe(false)
    await writeFile(join(folder, 'kedge.json'), '{"plugins": false}')
    expect((await agentSettings({ doorbell: true, plugins: true }, around({}, folder))).plugins).toBe(false)
  })

  test('state is kept under XDG_STATE_HOME where that is in use', () => {
    expect(stateFolder(undefined, 'agent', around({ XDG_STATE_HOME: '/xdg' }))).toBe('/xdg/kedge/agent')
  })
})

describe('a setting that cannot be is refused with who gave it, and what it must be', () => {
  const refused = async (flags: Partial<AgentFlags>, environment: Record<string, string> = {}, file?: string): Promise<string> => {
    const folder = await ownFolder()
    if (file !== undefined) await writeFile(join(folder, 'kedge.json'), file)
    const error: unknown = await agentSettings({ doorbell: true, ...flags }, around(environment, folder)).then((taken) => taken, (reason: unknown) => reason)
    if (!(error instanceof Failure)) throw new Error(`taken: ${JSON.stringify(error)}`)
    return `${error.exitCode} ${error.message.replaceAll(folder, 'FOLDER')}`
  }
  const URL_RULE = 'must be the address of a coordinator, such as http://127.0.0.1:8787 or https://kedge.example.com, without a path or password'

  test.each<[string, Partial<AgentFlags>, Record<string, string>, string | undefined, string]>([
    ['an address without a scheme', { url: '127.0.0.1:8787' }, {}, undefined, `--url ${URL_RULE}; "127.0.0.1:8787" is none.`],
    ['an address with a path', {}, { KEDGE_URL: 'https://ci.example/kedge' }, undefined, `KEDGE_URL ${URL_RULE}; "https://ci.example/kedge" is none.`],
    ['an address in the file', {}, {}, '{"url": "ci"}', `"url" of the settings file ${URL_RULE}; "ci" is none.`],
    ['slots in the environment', {}, { KEDGE_SLOTS: 'two' }, undefined, 'KEDGE_SLOTS must be a whole number from 1 to 64, not "two".'],
    ['slots in the file', {}, {}, '{"slots": 1.5}', '"slots" of the settings file must be a whole number from 1 to 64, not "1.5".'],
    ['no name', { name: '' }, {}, undefined, '--name must have 1 to 128 characters, not "".'],
    ['a long name', {}, { KEDGE_AGENT_NAME: 'x'.repeat(129) }, undefined, `KEDGE_AGENT_NAME must have 1 to 128 characters, not "${'x'.repeat(80)}…".`],
    ['a queue', {}, {}, '{"queue": "a b"}', '"queue" of the settings file must be 1 to 64 letters, digits, "_", "." or "-", and begin with a letter or digit, not "a b".'],
    ['a tag', { tag: ['gpu'] }, {}, undefined, 'the tag "gpu" must look like key=value without spaces, such as os=linux.'],
    ['a long tag', { tag: [`a=${'x'.repeat(129)}`] }, {}, undefined, `the tag "a=${'x'.repeat(129)}" must look like key=value without spaces, such as os=linux.`],
    ['too many tags', { tag: Array.from({ length: 65 }, (_, i) => `a${i}=b`) }, {}, undefined, '65 tags are more than an agent may have.'],
    ['two tokens at once', { token: 'a', tokenFile: 'b' }, {}, undefined, '--token and --token-file both name the token; leave one out.'],
    ['a token of two words', { token: 'kdg_reg_a kdg_reg_b' }, {}, undefined, '--token must hold one token and nothing else, such as kdg_….'],
    ['a token of two lines', {}, { KEDGE_REGISTRATION_TOKEN: 'a\nb' }, undefined, 'KEDGE_REGISTRATION_TOKEN must hold one token and nothing else, such as kdg_….'],
    ['a token with letters that no header takes', {}, {}, '{"token": "kdg_reg_…"}', '"token" of the settings file must hold one token and nothing else, such as kdg_….'],
    ['a token file that is not there', { tokenFile: 'nope' }, {}, undefined, 'cannot read the token from nope: there is no such file. Name another file with --token-file.'],
    ['a token file that is a folder', {}, {}, '{"token_file": "."}', 'cannot read the token from .: it is a folder. Name another file with --token-file.'],
    ['hooks that are not there', { hooksPath: 'nope' }, {}, undefined, '--hooks-path must be a folder that is there; "nope" is none.'],
    ['hooks of no name, as from a variable that is not set', { hooksPath: '' }, {}, undefined, '--hooks-path must be a folder that is there; "" is none.'],
    ['hooks that are a file', {}, {}, '{"hooks_path": "kedge.json"}', '"hooks_path" of the settings file must be a folder that is there; "kedge.json" is none.'],
    ['settings that are not there', { config: 'nope.json' }, {}, undefined, 'cannot read FOLDER/nope.json: there is no such file. Name another file with --config.'],
  ])('%s', async (_what, flags, environment, file, said) => {
    expect(await refused(flags, environment, file)).toBe(`2 ${said}`)
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
    expect(refusal('{"slots": two}')).toBe('2 kedge.json:1:11 is not JSON: expected value, found "two".') // V8 names no place here
    expect(refusal("{'slots': 2}")).toMatch(/^2 kedge\.json:1:2 is not JSON: expected name in double quotes/)
    expect(refusal('')).toBe('2 kedge.json:1:1 is not JSON: expected value, but the text ends.')
    expect(refusal('[]')).toMatch(/^2 kedge\.json:1:1 must be an object/)
  })
})
