#!/usr/bin/perl
# An SMSC on Net::SMPP (Debian: libnet-smpp-perl), as its documentation shows one: takes everything and sends receipts.
# Usage: net_smpp.pl PORT. Prints "ready", and a line for each message that it takes.
use strict;
use warnings;
use Net::SMPP;

$| = 1;
$SIG{PIPE} = 'IGNORE';
my $port     = shift;
my $listener = Net::SMPP->new_listen( '127.0.0.1', port => $port, smpp_version => 0x34 ) or die "listen: $!";
my $taken    = 0;
print "ready\n";
while (1) {
    my $link = $listener->accept or next;
    while ( my $pdu = $link->read_pdu ) {
        if ( $pdu->{cmd} == Net::SMPP::CMD_bind_transceiver ) {
            $link->bind_transceiver_resp( seq => $pdu->{seq}, status => 0, system_id => 'perl' );
        }
        elsif ( $pdu->{cmd} == Net::SMPP::CMD_enquire_link ) {
            $link->enquire_link_resp( seq => $pdu->{seq} );
        }
        elsif ( $pdu->{cmd} == Net::SMPP::CMD_unbind ) {
            $link->unbind_resp( seq => $pdu->{seq} );
            last;
        }
        elsif ( $pdu->{cmd} == Net::SMPP::CMD_submit_sm ) {
            my $id = ++$taken;
            $link->submit_sm_resp( seq => $pdu->{seq}, status => 0, message_id => sprintf( '%010d', $id ) );
            printf "%s %d %s\n", $pdu->{destination_addr}, $pdu->{data_coding}, unpack( 'H*', $pdu->{short_message} );
            my %inbound = (
                async            => 1,
                source_addr_ton  => 1,
                source_addr_npi  => 1,
                source_addr      => $pdu->{destination_addr},
                destination_addr => $pdu->{source_addr},
            );
            # The receipt has the coding of the message, and the id without zeros.
            my $state = $pdu->{destination_addr} =~ /11$/ ? 'UNDELIV' : 'DELIVRD';
            $link->deliver_sm(
                %inbound,
                esm_class     => 4,
                data_coding   => $pdu->{data_coding},
                short_message =>
                  "id:$id sub:001 dlvrd:001 submit date:2611291200 done date:2611291201 stat:$state err:000 text:",
            );
            $link->deliver_sm( %inbound, short_message => 'STOP' ) if $pdu->{destination_addr} =~ /77$/;
        }
    }
    $link->close;
}
