/** How a step's files are checked out; of the whole pipeline and of the step, name by name. */
import { isMap } from '../json.ts'
import type { CheckoutOptions } from '../steps.ts'
import { Attributes, shown, type Reader } from './reading.ts'
import { flag, truthOf } from './values.ts'

const PLAIN: CheckoutOptions = { skip: false, submodules: null, lfs: null, fresh: false }

const UNSUPPORTED: Readonly<Record<string, string>> = {
  depth: 'Kedge has no shallow clones: its agents keep a mirror of the repository and fetch only what that lacks. Take "depth" away.',
  sparse: 'Kedge checks out whole work trees; they are kept, and only what changed is written. Take "sparse" away.',
  flags: 'Kedge does not hand flags of a pipeline to git, since they can run commands. Take "flags" away; the agent\'s own git configuration holds.',
  ssh_secret: 'Kedge has no keys for single steps: agents use their own SSH keys and git configuration. Take "ssh_secret" away.',
  commit_verification: 'Kedge does not verify that a commit is on its branch. Take "commit_verification" away.',
}

export type PartOfCheckout = Partial<CheckoutOptions>

export const checkoutOptions: Reader<PartOfCheckout> = (value, place) => {
  if (!isMap(value)) return place.wrong(truthOf(value) === undefined ? `this is a mapping such as { skip: true }, not ${shown(value)}.` : `write { skip: ${truthOf(value) === false} } instead of ${shown(value)}.`)
  const attributes = new Attributes(value, place)
  const found: Record<string, boolean> = {}
  for (const name of ['skip', 'submodules', 'lfs', 'fresh'] as const) if (attributes.has(name)) found[name] = attributes.read(name, flag, false)
  attributes.refuseRest('"checkout"', { unsupported: UNSUPPORTED })
  return found
}

export function mergedCheckout(own: PartOfCheckout, defaults: PartOfCheckout): CheckoutOptions {
  return { ...PLAIN, ...defaults, ...own }
}
