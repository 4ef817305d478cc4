/** Every file of `testdata/stack/` says what the control plane says: rollouts as dialogues. */

import { dialogueTests } from "./testing/dialogue.ts";
import { stackDialogue } from "./testing/stack-dialogue.ts";

dialogueTests(new URL("testdata/stack", import.meta.url), stackDialogue);
