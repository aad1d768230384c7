#!/bin/sh
# The first process of a host: tests/cluster/hosts.py starts it in namespaces of its own.
# When it is killed the kernel ends everything that runs in them: the power is off.
set -eu
name=$1 address=$2 folder=$3 ssh=$4
hostname "$name"
mount -t proc proc /proc
mount -t tmpfs -o size=1g tmpfs /dev/shm
mkdir -p "$folder/ray" "$folder/home/.ssh" /tmp/ray /run/sshd
mount --bind "$folder/ray" /tmp/ray
mount -t tmpfs -o mode=755 tmpfs /run/sshd
printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" > "$folder/hosts"
mount --bind "$folder/hosts" /etc/hosts
sed "s#^root:\(.*\):/root:#root:\1:$folder/home:#" /etc/passwd > "$folder/passwd"
mount --bind "$folder/passwd" /etc/passwd
if [ "$ssh" = yes ]; then
    cp "$folder/../key.pub" "$folder/home/.ssh/authorized_keys"
    chmod 700 "$folder/home" "$folder/home/.ssh"
    chmod 600 "$folder/home/.ssh/authorized_keys"
    [ -e "$folder/host_key" ] || ssh-keygen -q -t ed25519 -N '' -f "$folder/host_key"
    printf '%s\n' "ListenAddress $address" "HostKey $folder/host_key" 'UsePAM no' \
        'PermitRootLogin prohibit-password' 'PasswordAuthentication no' 'PidFile none' \
        'StrictModes no' 'AuthorizedKeysFile .ssh/authorized_keys' \
        'MaxStartups 50:30:100' > "$folder/sshd_config"
    "$(command -v sshd)" -f "$folder/sshd_config" -E "$folder/sshd.log"
fi
export HOME="$folder/home"
cd "$HOME"
touch "$folder/ready"
while :; do
    sleep 3600 &
    wait $! || true
done
