with visit as (
    select * from staging.stg_omop__visit_occurrence
),

patient as (
    select * from marts.patient_demographics
),

event as (
    select * from marts.patient_timeline where event_type <> 'visit'
),

concept as (
    select * from staging.stg_vocabulary__concept
),

counted as (
    select
        visit_occurrence_id,
        count(case when event_type = 'condition' then 1 end) as condition_count,
        count(case when event_type = 'drug' then 1 end) as drug_count,
        count(case when event_type = 'procedure' then 1 end) as procedure_count,
        count(case when event_type = 'measurement' then 1 end) as measurement_count,
        count(case when event_type = 'observation' then 1 end) as observation_count
    from event
    where visit_occurrence_id is not null
    group by visit_occurrence_id
),

final as (
    select
        visit.visit_occurrence_id,
        visit.person_id,
        visit.visit_concept_id,
        coalesce(concept.concept_name, visit.visit_source_value, 'unknown') as visit_name,
        visit.visit_start_date,
        visit.visit_end_date,
        cast((to_unixtime(cast(visit.visit_end_date as timestamp)) - to_unixtime(cast(visit.visit_start_date as timestamp))) / 86400 as bigint) as night_count,
        cast(
            extract(year from visit.visit_start_date) - extract(year from patient.birth_date)
            - case
                when extract(month from visit.visit_start_date) * 100 + extract(day from visit.visit_start_date)
                    < extract(month from patient.birth_date) * 100 + extract(day from patient.birth_date)
                    then 1
                else 0
            end as integer
        ) as age_at_visit,
        visit.provider_id,
        visit.care_site_id,
        coalesce(counted.condition_count, 0) as condition_count,
        coalesce(counted.drug_count, 0) as drug_count,
        coalesce(counted.procedure_count, 0) as procedure_count,
        coalesce(counted.measurement_count, 0) as measurement_count,
        coalesce(counted.observation_count, 0) as observation_count
    from visit
    left join patient on visit.person_id = patient.person_id
    left join counted on visit.visit_occurrence_id = counted.visit_occurrence_id
    left join concept on visit.visit_concept_id = concept.concept_id and visit.visit_concept_id <> 0
)

select * from final
