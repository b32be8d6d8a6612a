/** What a build could not tell others: a status that is missing there is looked for here. */
import type { BuildView } from '../../schema/api.ts'
import { untold } from '../../schema/untold.ts'

export function Untold({ build }: { readonly build: BuildView }) {
  const sentences = untold(build.notifications)
  if (sentences.length === 0) return <></>
  return (
    <ul class="untold" aria-label="Not told">
      {sentences.map((text) => <li>{text.charAt(0).toUpperCase()}{text.slice(1)}</li>)}
    </ul>
  )
}
