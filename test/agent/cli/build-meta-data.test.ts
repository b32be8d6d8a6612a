/** `kedge meta-data BUILD`, as a person meets it. */
import { expect, it } from 'vitest'
import { buildMetaData, type MetaDataOptions } from '../../../agent/cli/build-meta-data.ts'
import { createClient } from '../../../agent/cli/client.ts'
import { answeringServer } from '../../support/answering-server.ts'
import { buildView } from '../../support/views.ts'

async function setUp(values: Readonly<Record<string, string>>) {
  const server = await answeringServer(({ path }) => ({ body: path.endsWith('/meta-data') ? { meta_data: values } : buildView({ project: 'app' }) }))
  const lines: string[] = []
  const output = { line: (text: string) => void lines.push(text), json: (value: unknown) => void lines.push(JSON.stringify(value)), log: () => {}, note: () => {} }
  const run = (key?: string, options: MetaDataOptions = {}, build = 'app#7') => buildMetaData(createClient({ url: server.url, token: null }), { build, key }, options, output)
  return { run, lines, asked: server.asked }
}

it('lists what there is, a line for each', async () => {
  const { run, lines, asked } = await setUp({ notes: 'two\nlines', version: '1.2' })
  expect(await run()).toBe(0)
  expect(lines).toEqual(['notes    two lines', 'version  1.2'])
  expect(asked.at(-1)?.path).toBe('/api/v1/projects/app/builds/7/meta-data')
})

it('prints one value as it is', async () => {
  const { run, lines } = await setUp({ notes: 'two\nlines', constructor: 'x' })
  await run('notes')
  await run('constructor', { json: true })
  expect(lines).toEqual(['two\nlines', '{"meta_data":{"constructor":"x"}}'])
})

it('fails for a key that nobody set', async () => {
  await expect((await setUp({ version: '1' })).run('versoin')).rejects.toMatchObject({ exitCode: 1, message: 'app#7 has no meta-data "versoin"; did you mean "version"?' })
  await expect((await setUp({})).run('toString')).rejects.toMatchObject({ exitCode: 1, message: 'app#7 has no meta-data "toString"; it has none at all.' })
})

it('says that there is none', async () => {
  const { run, lines } = await setUp({})
  await run()
  expect(lines).toEqual(['app#7 has no meta-data.'])
})

it.each([
  ['gett', '"gett" names no build, such as app#12, and "kedge meta-data" has no command of that name; did you mean "get"?'],
  ['app#7/1', 'names a job, and meta-data is of the whole build'],
])('is refused for %s', async (build, why) => {
  await expect((await setUp({})).run(undefined, {}, build)).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining(why) })
})
