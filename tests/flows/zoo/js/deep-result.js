/* inline: error deadline; process: error deadline */
export default () => { let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a }
