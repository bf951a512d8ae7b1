# One context of bash: lines of JSON on the descriptor that the first argument names, code of each run by eval.
# Variables and folder stay; what a run prints goes to descriptors 1 and 2.
__fd=$1
__count=0
shift
trap : INT
while IFS= read -r __line <&"$__fd"; do
  __count=$((__count + 1))
  printf '{"type":"begin","count":%d}\n' "$__count" >&"$__fd"
  unset __given __before
  declare -A __given=() __before=()
  eval "$(printf '%s' "$__line" | "$PINJRA_PYTHON" -S -c '
import json, shlex, sys
said = json.load(sys.stdin)
print("__code=" + shlex.quote(said["code"]))
for name, value in said["base"].items():
    print(f"export {name}={shlex.quote(value)}") if name.isidentifier() else None
for name, value in said["env"].items():
    print(f"__given[{name}]={shlex.quote(value)}") if name.isidentifier() else None
')"
  for __name in "${!__given[@]}"; do
    [ -n "${!__name+set}" ] && __before[$__name]=${!__name}
    export "$__name=${__given[$__name]}"
  done
  eval "$__code" </dev/null {__fd}>&-
  __status=$?
  for __name in "${!__given[@]}"; do
    if [ -n "${__before[$__name]+set}" ]; then export "$__name=${__before[$__name]}"; else unset "$__name"; fi
  done
  if [ "$__status" -ne 0 ]; then
    printf '{"type":"error","name":"CommandFailed","value":"exit status %d","traceback":""}\n' "$__status" >&"$__fd"
  fi
  printf '{"type":"done"}\n' >&"$__fd"
done
