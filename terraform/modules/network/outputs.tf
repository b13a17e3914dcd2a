output "vpc_id" {
  description = "Id of the network"
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Addresses of the network"
  value       = aws_vpc.this.cidr_block
}

output "public_subnet_ids" {
  description = "Subnets of load balancers"
  value       = aws_subnet.public[*].id
  # A balancer is of no use before its subnet has a way out.
  depends_on = [aws_route.internet, aws_route_table_association.public]
}

output "private_subnet_ids" {
  description = "Subnets of what runs"
  value       = aws_subnet.private[*].id
  # A task that starts before its subnet has a way out fails to fetch its image: over NAT, which needs
  # the public subnets' way, or over endpoints.
  depends_on = [
    aws_route.nat, aws_route_table_association.private, aws_route.internet, aws_route_table_association.public,
    aws_vpc_endpoint.s3, aws_vpc_endpoint.interface, aws_security_group_rule.endpoints,
  ]
}

output "public_subnet_cidrs" {
  description = "Addresses of those subnets"
  value       = local.public_cidrs
}

output "private_subnet_cidrs" {
  description = "Addresses of those subnets"
  value       = local.private_cidrs
}

output "nat_addresses" {
  description = "Addresses that connections to the outside come from, for the allow lists of others"
  value       = aws_eip.nat[*].public_ip
}
