/** The one version of CLI, agent and coordinator; a test holds it against package.json. */
export const VERSION = '0.1.0'

/** The oldest Node that runs the command line: what is bundled is written for it, and `engines` of package.json says the same. */
export const OLDEST_NODE = '22.12'
