-- inline: error value deadline; process: error value
return function(self)
  return {unpack({}, 1, 2 ^ 31)}
end
