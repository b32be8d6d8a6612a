/** The refusal of a pipeline: everything that is wrong with it, each by its place. */
import type { Problem } from '../schema/api.ts'
import type { Mistake } from '../schema/pipeline/steps.ts'

/** Further ones only repeat what the first broke. */
const SHOWN = 100

export function pipelineInvalid(mistakes: readonly Mistake[]): Problem {
  const [first] = mistakes
  const more = mistakes.length - 1
  const where = first === undefined || first.path.length === 0 ? '' : `${spelled(first.path)}: `
  return {
    status: 422,
    code: 'pipeline-invalid',
    title: 'The pipeline is not valid',
    detail: `${where}${first?.message ?? ''}${more > 0 ? ` And ${more} more.` : ''}`,
    errors: mistakes.slice(0, SHOWN).map(({ path, message }) => ({ path: spelled(path), message })),
  }
}

/** `steps[3].depends_on` */
function spelled(path: Mistake['path']): string {
  return path.reduce<string>((text, at) => (typeof at === 'number' ? `${text}[${at}]` : text === '' ? at : `${text}.${at}`), '')
}
