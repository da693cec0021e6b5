-- inline: error deadline; process: error
return function(self)
  setmetatable(string, {})
end
