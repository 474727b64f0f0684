// The page: five parts that know nothing of each other.

import { startBringYourOwn } from "./bring.js";
import { startDrawing } from "./draw.js";
import { showFeatures } from "./features.js";
import { startPhotos } from "./photos.js";
import { startRace } from "./race.js";

startPhotos();
startBringYourOwn();
startRace();
showFeatures(startDrawing());
// Without it, as in private windows of some browsers, the page works all the same, but only online.
navigator.serviceWorker?.register("service-worker.js").catch(() => {});
