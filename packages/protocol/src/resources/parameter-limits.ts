/**
 * Limits of a stack's parameters, apart from their schemas: what is given is checked before a server is asked.
 */

/** Characters of a value: a certificate chain fits, and 100 of them into one transaction of the store. */
export const PARAMETER_CHARS_MAX = 8_000;
/** A template store's largest application has about 40. */
export const STACK_PARAMETERS_MAX = 100;
