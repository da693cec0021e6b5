/* inline: deadline; process: deadline */
export default () => ({ toJSON() { for (;;); } })
