/* inline: deadline; process: deadline */
export default () => 1 + { valueOf() { for (;;); } }
