// What Home Assistant's frontend loads: it defines our elements and tells the card picker of them.
import "./meter-card";
