/* inline: error deadline; process: error deadline */
export default function f() { return f() + 1 }
