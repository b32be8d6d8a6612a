/** What a build could not tell others: a status that is missing there is looked for here. */
import type { BuildView } from '../../schema/api.ts'

export function Untold({ build: { notifications } }: { readonly build: BuildView }) {
  const problems = notifications.flatMap(({ problem }) => problem ?? [])
  return <>{problems.map((problem) => <p class="problem">{problem.charAt(0).toUpperCase()}{problem.slice(1)}</p>)}</>
}
