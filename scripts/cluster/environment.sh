# shellcheck shell=sh
# Read by every shell of a cluster's machine, through ~/.bashrc.
case ":$PATH:" in
    *":$HOME/sieve/.venv/bin:"*) ;;
    *) export PATH="$HOME/sieve/.venv/bin:$PATH" ;;
esac
# Ray listens on all interfaces; the token in ~/.ray/auth_token is what it asks for.
export RAY_AUTH_MODE=token
