-- inline: error deadline; process: error deadline
return function(self)
  error(setmetatable({}, {__index = error}))
end
