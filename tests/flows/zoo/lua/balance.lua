-- inline: deadline; process: deadline
return function(self)
  local s = ('('):rep(200000) return s:find('%b()')
end
