/* inline: deadline; process: deadline */
export default () => ({})[{ toString() { for (;;); } }]
