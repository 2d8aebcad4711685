// Enhances the pages. They also work without scripts, and nothing is loaded from other sites.

import { keepTrendingFresh } from "./refresh.js";
import { openCorner } from "./corner.js";
import { showReasonsOnHover } from "./reasons.js";
import { searchWhileTyping } from "./search.js";
import { sendReaderEvents } from "./events.js";

sendReaderEvents();
showReasonsOnHover();
keepTrendingFresh();
searchWhileTyping();
openCorner();
