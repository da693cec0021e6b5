-- inline: error deadline; process: error
return function(self)
  getmetatable('').__index = {}
end
