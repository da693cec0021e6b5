/* inline: deadline; process: deadline */
export default () => ({ get then() { for (;;); } })
