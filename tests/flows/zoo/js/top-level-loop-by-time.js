/* inline: deadline; process: deadline */
const end = Date.now() + 1e9;
export default () => { while (Date.now() < end); }
