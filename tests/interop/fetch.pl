# Fetch all messages into a folder, one file each, by their numbers.
# Standard input: port, user, password, folder, and 1 to delete them.
use strict;
use warnings;
use Net::POP3;

chomp(my ($port, $user, $password, $folder, $delete) = <STDIN>);
my $pop = Net::POP3->new("127.0.0.1", Port => $port, Timeout => 60) or die "no connection";
my $count = $pop->login($user, $password) or die "no login";
for my $number (1 .. $count) {
    open(my $file, ">:raw", "$folder/$number") or die $!;
    $pop->get($number, $file) or die "RETR $number";
    close($file) or die $!;
    if ($delete) { $pop->delete($number) or die "DELE $number" }
}
$pop->quit or die "QUIT";
