/**
 * The X.509 library in one module that is loaded late. It finds its parts by decorators, whose metadata the
 * first import adds to `Reflect`; and in a bundle a library of CommonJS has names only when it is imported
 * statically.
 */

import "reflect-metadata";

export * as x509 from "@peculiar/x509";
