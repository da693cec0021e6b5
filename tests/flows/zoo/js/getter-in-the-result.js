/* inline: deadline; process: deadline */
export default () => ({ get a() { for (;;); } })
