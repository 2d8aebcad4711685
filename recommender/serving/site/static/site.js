// What the pages do beyond showing: they work without it, and it brings nothing from elsewhere.

import { keepTrendingFresh } from "./fresh.js";
import { openCorner } from "./corner.js";
import { showReasonsOnHover } from "./reasons.js";
import { searchWhileTyping } from "./search.js";
import { tellOfReaders } from "./readers.js";

tellOfReaders();
showReasonsOnHover();
keepTrendingFresh();
searchWhileTyping();
openCorner();
