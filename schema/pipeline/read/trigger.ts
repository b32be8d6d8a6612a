/** A step that starts a build of another project. */
import { branchName, LIMITS, projectSlug } from '../../api.ts'
import { PIPELINE_LIMITS } from '../limits.ts'
import type { TriggerStep } from '../steps.ts'
import { branches, common, ifChanged, skip, softFail } from './common.ts'
import { Attributes, shown, type Reader } from './reading.ts'
import { environment, flag, prose, someText, text, textMap, wholeNumber } from './values.ts'

type Build = TriggerStep['build']

const PLAIN: Build = { message: null, commit: 'HEAD', branch: null, metaData: {}, env: {} }

export function triggerStep(attributes: Attributes, path: readonly number[]): TriggerStep {
  const slug = attributes.read('trigger', project, '')
  if (!attributes.has('trigger')) attributes.place.wrong('this does not say which project is to be built: give "trigger" its slug.')
  const parallelism = attributes.read<number | null>('parallelism', wholeNumber(0, PIPELINE_LIMITS.buildsPerTrigger, 'the number of builds'), null)
  const written = skip(attributes)
  return {
    ...common(attributes, path, ['label', 'name']),
    kind: 'trigger',
    branches: branches(attributes),
    trigger: slug,
    async: attributes.read('async', flag, false),
    build: attributes.read('build', build, PLAIN),
    parallelism: parallelism === 0 ? null : parallelism,
    softFail: softFail(attributes),
    skip: written ?? (parallelism === 0 ? 'parallelism is 0' : null),
    ifChanged: ifChanged(attributes),
  }
}

const project: Reader<string> = (value, place) => {
  const found = someText(value, place)
  if (found === undefined) return undefined
  return projectSlug.safeParse(found).success ? found : place.wrong(`${shown(found)} cannot be the slug of a project: 1 to 64 lower-case letters, digits or "-", which begin and end with a letter or digit.`)
}

/** What is empty, as a variable that is not set, is as if it were not there. */
const build: Reader<Build> = (value, place) => {
  const attributes = Attributes.of(value, place, '"build"')
  if (attributes === undefined) return undefined
  const found: Build = {
    message: attributes.read('message', prose(LIMITS.messageCharacters), null),
    commit: attributes.read('commit', text, '') || 'HEAD',
    branch: attributes.read('branch', branch, null),
    metaData: attributes.read('meta_data', textMap, {}),
    env: attributes.read('env', environment, {}),
  }
  attributes.refuseRest('"build"', { elsewhere: { skip: 'it belongs onto the step, beside "build"', label: 'it belongs onto the step, beside "build"' } })
  return found
}

const branch: Reader<string | null> = (value, place) => {
  const found = text(value, place)
  if (found === undefined || found === '') return null
  return branchName.safeParse(found).success ? found : place.wrong(`${shown(found)} is not a branch name that git accepts.`)
}
